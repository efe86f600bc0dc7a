"""The docs worker: documents of every common format, from folders, files and URLs, as passages with exact locators."""
