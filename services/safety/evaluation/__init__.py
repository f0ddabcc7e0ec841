"""What each detector finds and misses in labelled rows."""
