"""From a folder of files to ranked passages: what the docs and the code worker share."""
