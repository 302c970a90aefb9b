"""The names under which shippers and programs keep what a log document says, best first.

Elastic Common Schema, filebeat before and after it, Logstash's patterns, journald, GELF, fluentd,
OpenTelemetry, and the JSON of common logging libraries. `documents` reads by this table; Kubernetes
has one of its own.
"""

from __future__ import annotations

from typing import Mapping

MEANINGS: Mapping[str, str] = {
    "message": "message msg log MESSAGE short_message full_message body.text body Body text "
    "@message textPayload jsonPayload.message log_message event.original event.message "
    "error.message exception.message err.message error exception line content",
    "level": "log.level level severity levelname level_name severity_text SeverityText "
    "severityText log_level loglevel logLevel lvl log.syslog.severity.name syslog_severity "
    "syslog.severity_label severity_label log.syslog.severity.code syslog.severity "
    "syslog_severity_code PRIORITY winlog.level level_value Level @level jsonPayload.level "
    "syslog.severity_code fields.level",
    "priority": "log.syslog.priority syslog.priority syslog_pri",
    "otel_level": "severity_number SeverityNumber severityNumber",
    "host": "host.name host.hostname host hostname agent.hostname beat.hostname beat.name "
    "agent.name syslog_hostname logsource log.syslog.hostname _HOSTNAME HOSTNAME source_host "
    "resource.attributes.host.name resource.host.name winlog.computer_name computer_name "
    "observer.hostname server host.ip",
    "program": "program process.name syslog_program log.syslog.appname syslog.appname "
    "SYSLOG_IDENTIFIER syslog_identifier appname app_name application.name application app "
    "service.name service resource.attributes.service.name systemd.unit _SYSTEMD_UNIT "
    "journald.process.name ident event.module winlog.provider_name source_name",
    "logger": "log.logger logger logger_name loggerName component module name log.origin.function",
    "cluster": "orchestrator.cluster.name kubernetes_cluster cluster_name "
    "cluster.name cluster k8s.cluster.name resource.attributes.k8s.cluster.name k8s_cluster "
    "fields.cluster",
    "error_class": "error.type exception.exception_class exception.class exception.type "
    "exception.name exception_class exceptionClass error.class error.name err.type err.name "
    "exc_type error_type errorType attributes.exception.type exception.className thrown.name "
    "error.kind",
    "error_message": "error.message exception.exception_message exception.message err.message "
    "error_message errorMessage attributes.exception.message thrown.message error err exception "
    "exception_message",
    "stack": "error.stack_trace error.stack exception.stacktrace exception.stack_trace "
    "exception.stack stack_trace stacktrace stackTrace stack err.stack exc_info exc_text traceback "
    "attributes.exception.stacktrace thrown.extendedStackTrace error.stacktrace backtrace",
    "time": "@timestamp timestamp time ts date datetime event.created asctime "
    "_SOURCE_REALTIME_TIMESTAMP __REALTIME_TIMESTAMP observedTimestamp",
}

# What people want to see of a document and nothing is computed from.
DETAIL: Mapping[str, str] = {
    "file": "log.file.path file.path filename source path",
    "trace_id": "trace.id trace_id traceId TraceId traceID dd.trace_id",
    "request_id": "http.request.id request_id requestId x_request_id correlation_id correlationId",
    "http_status": "http.response.status_code status_code response_code",
    "url": "url.path url.original url request_uri uri",
    "image": "container.image.name",
}
