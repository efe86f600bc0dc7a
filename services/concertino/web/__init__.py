"""The web worker: searches the web, fetches pages by its rules of conduct, and quotes what it really read."""
