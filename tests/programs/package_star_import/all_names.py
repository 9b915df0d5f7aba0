__all__ = ['_visible']
_visible = 3
hidden = 4
