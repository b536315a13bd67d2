"""The page of a file, or of a folder of ticks, in a browser or in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from siltstone import _siltstone
from siltstone._handle import StoreHandle, end_at_exit, forget

#: Pixels of the frame in a notebook.
HEIGHT = 620
#: Pages that a notebook shows: each stays until its path is shown again.
_framed: dict[Path, View] = {}


def view(path: str | Path, *, port: int = 0, browser: bool = False, allow_host: str | Sequence[str] = ()) -> View:
    """Show a file, or a folder of ticks, as a page: what ``silt view`` does, in a thread of this process.

    The path is read only, and can be written meanwhile, here or by others. In a notebook the result shows the page in a
    frame. Only this machine reaches it, and the data only who has the address: treat it as a password.

    Parameters
    ----------
    path : path
        A file, or a folder of ticks, that is there.
    port : int
        The port; 0 takes a free one.
    browser : bool
        Whether to open the page in the user's browser. A warning says where there is none.
    allow_host : str or list of str
        Names, without a port, by which a proxy asks for the page, beside those of this machine.

    Returns
    -------
    View
        Has the ``address``. The server ends by ``close()``, at the end of a ``with`` block, with the interpreter, and
        when nothing refers to it any more, unless a notebook shows it.

    Raises
    ------
    NotFoundError
        If the path is not there.
    NotOursError, TooNewError
        If the file belongs to another program or a newer siltstone.
    StorageError
        If the port is taken.

    Examples
    --------
    >>> import os, tempfile
    >>> import siltstone
    >>> path = os.path.join(tempfile.mkdtemp(), "plant.db")
    >>> siltstone.open(path).close()
    >>> with siltstone.view(path) as page:
    ...     page.address.startswith("http://127.0.0.1:")
    True
    """
    return View(path, port=port, browser=browser, allow_host=allow_host)


class View(StoreHandle):
    """A page that is served: see :func:`siltstone.view`.

    Parameters
    ----------
    path : path
        The file, or the folder of ticks.
    port : int
        The port; 0 takes a free one.
    browser : bool
        Whether to open the page in the user's browser.
    allow_host : str or list of str
        Names by which a proxy asks for it.
    """

    def __init__(
        self, path: str | Path, *, port: int = 0, browser: bool = False, allow_host: str | Sequence[str] = ()
    ) -> None:
        self.path = Path(path)
        hosts = [allow_host] if isinstance(allow_host, str) else list(allow_host)
        self._inner = _siltstone.Viewer(self.path, port, browser, hosts)
        end_at_exit(self._inner, _siltstone.Viewer.close, f"closing the page of {self.path}")

    @property
    def address(self) -> str:
        """The address to open in a browser, with its token."""
        return self._inner.address

    @property
    def closed(self) -> bool:
        """Whether it was ended."""
        return not self._inner.is_open

    def close(self) -> None:
        """End the server, and give its port back. Closing again does nothing."""
        self._leave(None)

    def _leave(self, error: BaseException | None) -> None:
        forget(self._inner)
        if _framed.get(self.path) is self:
            del _framed[self.path]
        self._inner.close()

    def _shown(self) -> str:
        # Without the token: a repr is logged.
        origin = self.address.partition("/#")[0]
        return f"{str(self.path)!r}, {'closed' if self.closed else origin}"

    def _repr_html_(self) -> str:
        if self.closed:
            return f"<p>{escape(repr(self))}</p>"
        _framed[self.path] = self
        source, title = escape(self._inner.frame_address), escape(f"{self.path.name} in Siltstone")
        return (
            f'<iframe src="{source}" title="{title}" width="100%" height="{HEIGHT}" '
            'style="border: 1px solid #8884; border-radius: 6px" referrerpolicy="no-referrer"></iframe>'
        )
