"""The HTML page: a list of sections, each a function of what is shown; figures are plain data that a script draws."""
