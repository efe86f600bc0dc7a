"""The services on one machine: started as processes, kept running, and taken down, whatever happens."""
