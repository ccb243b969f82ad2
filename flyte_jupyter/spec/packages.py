"""Which package provides a module, where the two have different names."""

from __future__ import annotations

__all__ = ["package_of"]

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


def package_of(module: str) -> str:
    """Return the name of the package that provides a module, as far as it is known."""
    top = module.partition(".")[0]
    return PACKAGES.get(top, top)
