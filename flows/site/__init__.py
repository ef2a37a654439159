"""The gallery site: a team looks at runs and assets, approves, tries changes, takes zips away."""
