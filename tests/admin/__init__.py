"""The operator's pages, through their real doors."""
