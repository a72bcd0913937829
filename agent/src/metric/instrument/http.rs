//! RED: what services answer and ask over HTTP.

use super::{BYTES, SECONDS};

crate::instruments! {
    HTTP_SERVER_REQUEST_DURATION: histogram SECONDS, "http.server.request.duration", "s" nanos,
        "Duration of HTTP server requests.",
        by [HTTP_REQUEST_METHOD, URL_SCHEME, HTTP_ROUTE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE, NETWORK_PROTOCOL_VERSION, OTEL_METRIC_OVERFLOW],
        from "sockets",
        asks "How many requests are served, how many fail, and how long do they take?";
    HTTP_CLIENT_REQUEST_DURATION: histogram SECONDS, "http.client.request.duration", "s" nanos,
        "Duration of HTTP client requests.",
        by [HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT, SERVICE_PEER_NAME, SERVICE_PEER_NAMESPACE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE, NETWORK_PROTOCOL_VERSION, URL_TEMPLATE, OTEL_METRIC_OVERFLOW],
        from "sockets",
        asks "How do the services that this one asks answer?";
    HTTP_SERVER_REQUEST_BODY_SIZE: histogram BYTES, "http.server.request.body.size", "By",
        "Size of HTTP server request bodies.",
        by [HTTP_REQUEST_METHOD, URL_SCHEME, HTTP_ROUTE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE, NETWORK_PROTOCOL_VERSION, OTEL_METRIC_OVERFLOW],
        from "sockets",
        asks "How large are the requests that are served?";
    HTTP_SERVER_RESPONSE_BODY_SIZE: histogram BYTES, "http.server.response.body.size", "By",
        "Size of HTTP server response bodies.",
        by [HTTP_REQUEST_METHOD, URL_SCHEME, HTTP_ROUTE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE, NETWORK_PROTOCOL_VERSION, OTEL_METRIC_OVERFLOW],
        from "sockets",
        asks "How large are the responses that are served?";
    HTTP_CLIENT_REQUEST_BODY_SIZE: histogram BYTES, "http.client.request.body.size", "By",
        "Size of HTTP client request bodies.",
        by [HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT, SERVICE_PEER_NAME, SERVICE_PEER_NAMESPACE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE, NETWORK_PROTOCOL_VERSION, URL_TEMPLATE, OTEL_METRIC_OVERFLOW],
        from "sockets",
        asks "How large are the requests that are made?";
    HTTP_CLIENT_RESPONSE_BODY_SIZE: histogram BYTES, "http.client.response.body.size", "By",
        "Size of HTTP client response bodies.",
        by [HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT, SERVICE_PEER_NAME, SERVICE_PEER_NAMESPACE, HTTP_RESPONSE_STATUS_CODE, ERROR_TYPE, NETWORK_PROTOCOL_VERSION, URL_TEMPLATE, OTEL_METRIC_OVERFLOW],
        from "sockets",
        asks "How large are the responses that are made?";
    HTTP_SERVER_ACTIVE_REQUESTS: updowncounter, "http.server.active_requests", "{request}",
        "Number of active HTTP server requests.",
        by [HTTP_REQUEST_METHOD, URL_SCHEME],
        from "sweep of sockets",
        asks "How many requests hang at this moment?";
    HTTP_CLIENT_OPEN_CONNECTIONS: updowncounter, "http.client.open_connections", "{connection}",
        "Number of outbound HTTP connections that are active or idle.",
        by [SERVER_ADDRESS, SERVER_PORT, SERVICE_PEER_NAME, SERVICE_PEER_NAMESPACE, HTTP_CONNECTION_STATE],
        from "sweep of sockets",
        asks "Do connections pile up?";
    STETH_TCP_CONNECT_FAILURES: counter, "steth.tcp.connect.failures", "{connection}",
        "Connects that came to nothing.",
        by [ERROR_TYPE, SERVER_PORT, STETH_PEER_REACH, SERVICE_PEER_NAME, SERVICE_PEER_NAMESPACE],
        from "sockets",
        asks "Can this service reach those it needs?";
}
