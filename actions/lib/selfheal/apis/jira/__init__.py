"""Jira's REST API: Cloud (version 3, Atlassian's document format) and Data Center (version 2, wiki
markup), as far as tickets need it.
"""
