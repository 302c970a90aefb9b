"""Elasticsearch and OpenSearch as a search service, through their official clients."""
