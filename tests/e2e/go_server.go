// A server that says its port in its source, in a language whose programs call the kernel
// themselves. Answers every request with the name of its instance.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		fmt.Fprintln(response, os.Getenv("PANDO_INSTANCE"))
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
