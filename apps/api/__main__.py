"""``python -m apps.api``."""

from apps.api.main import main

if __name__ == "__main__":
    main()
