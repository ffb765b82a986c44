project = "iotgw"
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
include_patterns = ["docs/**/*.md", "README.md", "SECURITY.md", "CHANGELOG.md"]
root_doc = "docs/index"
html_theme = "furo"
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
