"""What every process needs around its work: settings, logging, a clock, and a life cycle that drains."""
