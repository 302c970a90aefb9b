"""Errors searched in Elasticsearch or OpenSearch: the poll, its pages, what came late, storms."""
