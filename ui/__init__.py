"""The page: three tabs over `core`. Importing the package is free; gradio comes with `ui.page`."""
