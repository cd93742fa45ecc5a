"""chrony as a server of keys and of time, and an authority of our own that vouches for it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from ports import free_port
from support import Chrony

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
SUBJECT = "CN=ntp-clock's test server"
ISSUER = "CN=ntp-clock's test authority"


class Authority:
    """The authority that signs certificates, for the years 2020 to 2039; `file` has its own."""

    def __init__(self, folder: Path, name: str = ISSUER) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl: apt-get install openssl")
        folder.mkdir(exist_ok=True)
        self._folder = folder
        (folder / "index").touch()
        (folder / "conf").write_text(
            "[ca]\ndefault_ca = here\n[here]\ndatabase = index\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = any\nrand_serial = yes\n[any]\ncommonName = supplied\n"
        )
        self.file = folder / "ca.pem"
        self._certify("ca", name, "basicConstraints = critical,CA:TRUE", "-selfsign")

    def certify(self) -> tuple[Path, Path]:
        """Files of a certificate for this machine and of its key."""
        names = f"subjectAltName = DNS:localhost,IP:{HOST}"
        return self._certify("server", SUBJECT, names, "-cert", "ca.pem")

    def _certify(self, name: str, subject: str, extension: str, *by: str) -> tuple[Path, Path]:
        (self._folder / f"{name}.ext").write_text(f"{extension}\n")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/{subject}"),
        )
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "conf", "-keyfile", "ca.key", *by),
            *("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", f"{name}.ext"),
            # Some time ago, for it has to be valid at the earliest that it can be.
            *("-startdate", "20200101000000Z", "-enddate", "20400101000000Z"),
        )
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        ran = subprocess.run(
            ["openssl", *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr


class NtsServer(Chrony):
    """Debian's NTP server, also as a server of keys. Its keys are others after each start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port())
        self.authority = Authority(folder / "authority")
        certificate, key = self.authority.certify()
        keys_port = free_port()
        self.ntp_address = self.address
        """Where it tells the time."""
        self.keys_address = f"{HOST}:{keys_port}"
        """Where it gives keys."""
        with self._conf.open("a") as conf:
            conf.write(
                f"ntsport {keys_port}\nntsservercert {certificate}\nntsserverkey {key}\n"
                "ntsprocesses 0\n"
            )

    @property
    def variables(self) -> dict[str, Any]:
        """For a program whose shared clock requires that this server proves its replies."""
        return {
            "PORTACODE_NTP_SERVER": self.keys_address,
            "PORTACODE_NTP_NTS": "required",
            "PORTACODE_NTP_NTS_CA": str(self.authority.file),
        }


@contextmanager
def unfinished_exchanges(mark: Path) -> Iterator[str]:
    """Address of a server that takes connections and says nothing; `mark` is there once it has."""
    taken: list[socket.socket] = []
    with socket.create_server((HOST, 0)) as listener:

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return
                mark.touch()

        threading.Thread(target=take, daemon=True).start()
        yield f"{HOST}:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()
