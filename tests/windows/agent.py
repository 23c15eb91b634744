"""Does what it is told, under Wine: reads `[number, code]` by line, runs it, answers with what `result` became."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any


def main() -> None:
    names: dict[str, Any] = {}
    for line in sys.stdin:
        number, code = json.loads(line)
        names["result"] = None
        try:
            exec(code, names)
            said = json.dumps({"answer": number, "result": names["result"]})
        except Exception:  # noqa: BLE001 - whatever it is, who asked shall know
            said = json.dumps({"answer": number, "error": traceback.format_exc()})
        sys.stdout.write(said + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
