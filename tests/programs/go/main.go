// Command tally is net/http on both sides: `tally server PORT` answers `/status/N` with N,
// `tally client PORT..` sends 200 requests to each, five statuses in turn, over a keep-alive transport.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func answer(w http.ResponseWriter, r *http.Request) {
	status, err := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	if err != nil {
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Length", "10")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "0123456789")
}

func ask(port string, status int) error {
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/status/%d", port, status))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != status || len(body) != 10 {
		return fmt.Errorf("%d for %d", response.StatusCode, status)
	}
	return nil
}

func main() {
	if os.Args[1] == "server" {
		log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[2], http.HandlerFunc(answer)))
	}
	statuses := []int{200, 404, 429, 500, 503}
	for _, port := range os.Args[2:] {
		for i := 0; i < 200; i++ {
			if err := ask(port, statuses[i%len(statuses)]); err != nil {
				log.Fatal(err)
			}
		}
	}
}
