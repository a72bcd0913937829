// Command chain is one link of a chain of services, as chain.py says: chain UPSTREAM BACKGROUND PORT [direct]. With
// direct a goroutine writes what it asks itself, as drivers of databases do; else net/http has another do it.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var upstream, port int

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// Connections that nobody uses, by port.
var idle = struct {
	sync.Mutex
	of map[int][]*conn
}{of: map[int][]*conn{}}

type conn struct {
	net.Conn
	reader *bufio.Reader
}

func take(port int) *conn {
	idle.Lock()
	defer idle.Unlock()
	all := idle.of[port]
	if len(all) == 0 {
		return nil
	}
	idle.of[port] = all[:len(all)-1]
	return all[len(all)-1]
}

func put(port int, used *conn) {
	idle.Lock()
	defer idle.Unlock()
	idle.of[port] = append(idle.of[port], used)
}

var direct bool

func askDirectly(port int, path string) {
	used := take(port)
	if used == nil {
		dialled, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			log.Fatal(err)
		}
		used = &conn{dialled, bufio.NewReader(dialled)}
	}
	_, err := fmt.Fprintf(used, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", path, port)
	if err != nil {
		log.Fatal(err)
	}
	response, err := http.ReadResponse(used.reader, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.Close {
		used.Close()
	} else {
		put(port, used)
	}
}

func ask(port int, path string) {
	if direct {
		askDirectly(port, path)
		return
	}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

type call struct {
	port int
	path string
}

func plan(kind, name string) [][]call {
	to := func(kind string, n int) call {
		return call{upstream, fmt.Sprintf("/%s/%s.%d", kind, name, n)}
	}
	if upstream == 0 {
		return nil
	}
	switch kind {
	case "s":
		if strings.Count(name, ".") < 3 {
			return [][]call{{{port, "/s/" + name + ".1"}}}
		}
	case "c":
		return [][]call{{to("c", 1)}}
	case "d":
		return [][]call{{to("l", 1)}}
	case "q":
		return [][]call{{to("l", 1)}, {to("l", 2)}}
	case "p":
		return [][]call{{to("l", 1), to("l", 2), to("l", 3)}}
	case "r":
		return [][]call{{to("f", 1)}, {to("l", 2)}}
	}
	return nil
}

func answer(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	kind, name := parts[1], parts[2]
	if kind == "d" {
		time.Sleep(time.Millisecond + time.Duration(rand.Intn(19))*time.Millisecond)
	}
	if kind == "l" {
		time.Sleep(time.Duration(rand.Intn(3000)) * time.Microsecond)
	}
	for _, group := range plan(kind, name) {
		var asking sync.WaitGroup
		for _, one := range group[1:] {
			asking.Add(1)
			go func(one call) {
				defer asking.Done()
				ask(one.port, one.path)
			}(one)
		}
		ask(group[0].port, group[0].path)
		asking.Wait()
	}
	w.Header().Set("Content-Length", "2")
	if kind == "f" {
		w.WriteHeader(503)
	}
	_, _ = io.WriteString(w, "ok")
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func main() {
	upstream, port = number(os.Args[1]), number(os.Args[3])
	direct = len(os.Args) > 4 && os.Args[4] == "direct"
	if background := os.Args[2]; background != "0" {
		go func() {
			for n := 0; ; n++ {
				time.Sleep(time.Duration(2000+rand.Intn(6000)) * time.Microsecond)
				ask(upstream, fmt.Sprintf("/%s/b%d", background, n))
			}
		}()
	}
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", port), http.HandlerFunc(answer)))
}
