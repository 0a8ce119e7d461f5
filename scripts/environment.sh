# The other scripts source this file. It changes to the repository root and installs requirements.txt into .venv.
# It uses $PYTHON, or python3. If everything is installed, it is quick; an interrupted installation is repeated.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stamp=.venv/requirements.installed
if ! cmp -s requirements.txt "$stamp"; then
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "error: ${PYTHON:-python3} is older than Python 3.11; set PYTHON to a newer one" >&2
        exit 2
    }
    echo "Installing requirements.txt into .venv (about 5 GB, once) ..."
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt "$stamp"
fi
python=.venv/bin/python
