"""Documents of every common format, from files and from the web, as passages with exact locators: what docs and web share."""
