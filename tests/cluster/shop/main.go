// The programs of the tests' pods in one: a server and a client that count for themselves.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const usage = `usage:
  pause                          does nothing until it is told to end
  shop serve PORT                answers, and says at its end how often it did
  shop ask URL COUNT [MILLIS]    asks so often, one after the other, and says how that went
  shop crash PORT COUNT          serves COUNT requests and ends badly
  shop hog MEBIBYTES             takes so much memory
`

func main() {
	// The image that holds a pod's namespaces has it under this name.
	if filepath.Base(os.Args[0]) == "pause" {
		waitForEnd()
		return
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch os.Args[1] {
	case "serve":
		serve(argument(2), 0)
	case "crash":
		serve(argument(2), number(3))
	case "ask":
		ask(argument(2), number(3))
	case "hog":
		hog(number(2))
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

func argument(place int) string {
	if len(os.Args) <= place {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	return os.Args[place]
}

func number(place int) int {
	number, err := strconv.Atoi(argument(place))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return number
}

func waitForEnd() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	<-told
}

// say writes one line for those who read the log.
func say(what any) {
	line, _ := json.Marshal(what)
	fmt.Println(string(line))
}

// serve answers until it is told to end or has answered `limit` requests, and says how many by their paths:
// at its end, and to those who ask for /served, which counts for itself alone.
func serve(port string, limit int) {
	var mutex sync.Mutex
	served := map[string]int{}
	all := 0
	full := make(chan struct{})
	server := &http.Server{Addr: ":" + port}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mutex.Lock()
		defer mutex.Unlock()
		if r.URL.Path == "/served" {
			json.NewEncoder(w).Encode(served)
			return
		}
		fmt.Fprintf(w, "%s\n", r.URL.Path)
		served[r.URL.Path]++
		all++
		if all == limit {
			close(full)
		}
	})
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	code := 0
	select {
	case <-told:
		// Those that are on their way are answered first.
		patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(patience)
	case err := <-failed:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case <-full:
		// The last answer is to leave first.
		server.Shutdown(context.Background())
		code = 1
	}
	mutex.Lock()
	say(served)
	os.Exit(code)
}

// ask asks `count` times, each on a connection of its own, and says how many were answered.
func ask(url string, count int) {
	pause := time.Duration(0)
	if len(os.Args) > 4 {
		pause = time.Duration(number(4)) * time.Millisecond
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answered, failed, refused := 0, 0, 0
	for range count {
		select {
		case <-told:
			count = 0
		default:
		}
		if count == 0 {
			break
		}
		response, err := client.Get(url)
		switch {
		case err != nil:
			refused++
			fmt.Fprintln(os.Stderr, err)
		default:
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode < 500 {
				answered++
			} else {
				failed++
			}
		}
		time.Sleep(pause)
	}
	say(map[string]int{"answered": answered, "failed": failed, "refused": refused})
}

// hog takes memory page by page, and holds it.
func hog(mebibytes int) {
	held := make([][]byte, 0, mebibytes)
	for range mebibytes {
		block := make([]byte, 1<<20)
		for place := 0; place < len(block); place += 4096 {
			block[place] = 1
		}
		held = append(held, block)
		// It lives for a while, as most that end so do.
		time.Sleep(30 * time.Millisecond)
	}
	waitForEnd()
	fmt.Println(len(held))
}
