"""Secrets of many sorts, as they lie about in sources. None of them opens anything. They are put together here, so that no
scanner of this repository takes one for real."""

from __future__ import annotations

_KEY_BODY = "\n".join(f"MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7VJTUt9Us8c{n}q" for n in "K4vRx2")

SECRETS: dict[str, str] = {
    "aws": "AKIA" + "Q7NWZ3KDL5RXT2VB",
    "aws_secret": "wJa1rXUtnFEMI" + "K7MDENG+bPxRfiCYzq9KLmNo",
    "github": "ghp_" + "w1alrXUtnFEMIK7MDENGbPxRfiCYzaTuvw12",
    "slack": "xoxb-" + "731648205917-829104756382-Qm7RkT2vXy9LpZs4WnBd",
    "google": "AIza" + "SyD9kXw2Rf7LmQp4TzVb6NcHj8Ug1YsEo3A",
    "anthropic": "sk-ant-" + "api03-Kq8Zr2Wm5Yt9Lx4Vn7Bc1Pd6Hs3Jf0Ga",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiI5NDc2MiJ9." + "4twFt5NiznN84AWoo1d7KO1T_yoc0Z6XOpOVswacPZg",
    "url_password": "Vq7-rK2mZx9w",
    "connection": "tR5yLq8nBv3x",
    "password": "kjhkHKJ87" + "6876jhgJHGlkj",
    "bearer": "9f8b7c6d5e4a3b2c1d0e" + "ZyXwVuTs",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "private_key": _KEY_BODY.split("\n")[2],
}
"""By sort, the part that nobody may see."""

SETTINGS = f"""[relay]
aws_access_key_id = {SECRETS["aws"]}
aws_secret_access_key = "{SECRETS["aws_secret"]}"
database = "postgresql://relay:{SECRETS["url_password"]}@db.internal/relay"
legacy = "Server=db;User Id=relay;Password={SECRETS["connection"]};Encrypt=true"
password = {SECRETS["password"]}
retry_seconds = 30
"""
CODE = f'''"""The relay waits 30 seconds before each retry."""

GITHUB = "{SECRETS["github"]}"
MAPS = "{SECRETS["google"]}"
HEADERS = {{"Authorization": "Bearer {SECRETS["bearer"]}"}}
CLAUDE = "{SECRETS["anthropic"]}"
RETRY_SECONDS = 30
'''
PAGE = f"""# How the relay waits before each retry

The relay waits 30 seconds before each retry. Its token for the chat is {SECRETS["slack"]}, the session of the last retry was
{SECRETS["jwt"]}, and payments retry with {SECRETS["stripe"]}.
"""
KEY = f"-----BEGIN PRIVATE KEY-----\n{_KEY_BODY}\n-----END PRIVATE KEY-----\n"
