"""Plugins that do what no plugin should, beside good ones."""
