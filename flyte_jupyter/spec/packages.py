"""Which package provides a module, a command or a library, where they have different names."""

from __future__ import annotations

__all__ = ["package_of", "package_of_command", "package_of_library"]

# Modules whose package has another name.
PACKAGES = {
    "bs4": "beautifulsoup4",
    "Bio": "biopython",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google": "google-cloud",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "psycopg2": "psycopg2-binary",
    "pytorch_lightning": "pytorch-lightning",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "usb": "pyusb",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}

# Commands whose Debian package has another name.
COMMANDS = {
    "7z": "p7zip-full",
    "c++": "g++",
    "cc": "gcc",
    "convert": "imagemagick",
    "dig": "dnsutils",
    "dot": "graphviz",
    "gs": "ghostscript",
    "ip": "iproute2",
    "java": "default-jre-headless",
    "killall": "psmisc",
    "mysql": "default-mysql-client",
    "node": "nodejs",
    "pdflatex": "texlive-latex-base",
    "pdftotext": "poppler-utils",
    "ping": "iputils-ping",
    "ps": "procps",
    "psql": "postgresql-client",
    "rg": "ripgrep",
    "ssh": "openssh-client",
    "top": "procps",
    "tesseract": "tesseract-ocr",
    "xz": "xz-utils",
}
# Debian packages of libraries that wheels take for granted.
LIBRARIES = {
    "libEGL.so": "libegl1",
    "libGL.so": "libgl1",
    "libSM.so": "libsm6",
    "libX11.so": "libx11-6",
    "libXext.so": "libxext6",
    "libXrender.so": "libxrender1",
    "libgfortran.so": "libgfortran5",
    "libglib-2.0.so": "libglib2.0-0",
    "libgomp.so": "libgomp1",
    "libgthread-2.0.so": "libglib2.0-0",
    "libmagic.so": "libmagic1",
    "libodbc.so": "unixodbc",
    "libpq.so": "libpq5",
    "libsndfile.so": "libsndfile1",
    "libstdc++.so": "libstdc++6",
    "libxcb.so": "libxcb1",
}


def package_of(module: str) -> str:
    """Return the name of the package that provides a module, as far as it is known."""
    top = module.partition(".")[0]
    return PACKAGES.get(top, top)


def package_of_command(command: str) -> str:
    """Return the name of the Debian package that provides a command, as far as it is known."""
    return COMMANDS.get(command, command)


def package_of_library(library: str) -> str:
    """Return the name of the Debian package that provides a library, empty if it is not known.

    Args:
        library: its file name, such as ``libGL.so.1``.
    """
    head, _, _ = library.partition(".so")
    return LIBRARIES.get(head + ".so", "")
