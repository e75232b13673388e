"""The fault bed: kill, freeze and cut the power under load, then ask whether anything was lost, doubled or reordered.

`python -m bench.chaos --seconds 180`; everything that it learns of Overture it learns through HTTP, SMTP and webhooks.
"""
