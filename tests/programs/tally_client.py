"""http.client: 200 requests to each PORT, five statuses in turn, on one connection. tally_client.py PORT ..."""

import http.client
import sys

for port in sys.argv[1:]:
    connection = http.client.HTTPConnection("127.0.0.1", int(port))
    for i in range(200):
        status = (200, 404, 429, 500, 503)[i % 5]
        connection.request("GET", f"/status/{status}")
        answer = connection.getresponse()
        if answer.status != status or len(answer.read()) != 10:
            sys.exit(f"{answer.status} for {status}")
    connection.close()
