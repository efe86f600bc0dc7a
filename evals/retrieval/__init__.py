"""The official evaluation: forty questions on code and documents that nobody here wrote, beside a plain BM25 baseline."""
