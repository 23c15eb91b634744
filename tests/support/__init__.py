"""What tests of several folders share; benchmarks of Crash Team Racing use its drawn game too."""
