"""What notebooks, pipelines and the command line call: convert, inspect, verify, open."""
