"""Read by the Windows Python at its start, under Wine: what Wine 8 does not have."""

import _winapi

if hasattr(_winapi, "CopyFile2"):
    del _winapi.CopyFile2  # then shutil copies by itself
