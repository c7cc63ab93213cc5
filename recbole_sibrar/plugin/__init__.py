"""Registration with RecBole, and all extensions and repairs of it.

This is the only room that touches RecBole's own functions and private names. ``extensions.py`` has
one ordered table of the extensions, ``repairs.py`` one of the repairs.
"""

__all__ = ["is_registered", "register", "register_class"]


def register() -> None:
    """Import RecBole, and make its own functions know our models, data and keys.

    Calling it again changes nothing.
    """
    from recbole_sibrar.plugin.importing import import_recbole

    import_recbole()
    from recbole_sibrar.plugin import installation

    installation.install()


def is_registered() -> bool:
    """Tell whether :func:`register` has run in this process."""
    from recbole_sibrar.plugin import installation

    return installation.is_installed()


def register_class(own: object) -> None:
    """Let RecBole find a model or a metric of a user's own by its name."""
    register()
    from recbole_sibrar.plugin import installation

    installation.register_class(own)
