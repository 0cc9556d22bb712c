"""From the layouts of annotated sets to our tables; one module a layout."""
