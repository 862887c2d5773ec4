"""Pages of the web: one, those of a sitemap, or those of a site that lead to each other."""
