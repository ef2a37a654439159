"""Pages over what the store holds. Knows nothing of how anything was made."""

from catalogs.gallery.page import write_gallery

__all__ = ["write_gallery"]
