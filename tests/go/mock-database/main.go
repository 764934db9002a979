// Command mock-database is a database plugin with no purpose but to be tested
// with. It is built on OpenBao's SDK, which nobody here wrote, so that a server
// which can run it can run other people's database plugins.
//
//	-serve=mux|plain|v4   how it is served; v4 is the old interface, by
//	                      protocols 3 and 4
//	-fault=...            what to do wrong before anything is asked
//
// All other flags are those that every Vault plugin accepts (-ca-cert, ...). An
// argument that is absent is guessed from the name of the executable: "plain"
// or "v4" in it.
//
// Its users are in memory, and in the file that the connection's "file" names,
// a line each: that is the database. See store.go for what goes wrong on demand.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openbao/openbao/api/v2"
	v4 "github.com/openbao/openbao/sdk/v2/database/dbplugin"
	v5 "github.com/openbao/openbao/sdk/v2/database/dbplugin/v5"
)

// versionVariable names the environment variable that sets the version which
// the plugin reports of itself.
const versionVariable = "TESTING_MOCK_VAULT_PLUGIN_VERSION"

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mock-database:", err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet()
	serve := flags.String("serve", guess(name), "mux, plain or v4")
	fault := flags.String("fault", "", "exits or silent: what to do wrong")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch *fault {
	case "exits":
		fmt.Fprintln(os.Stderr, "the mock was told to exit")
		os.Exit(7)
	case "silent":
		time.Sleep(time.Hour)
	}
	switch *serve {
	case "mux":
		v5.ServeMultiplex(func() (interface{}, error) { return &database{}, nil })
	case "plain":
		v5.Serve(&database{})
	case "v4":
		v4.Serve(&old{}, api.VaultPluginTLSProvider(meta.GetTLSConfig()))
	default:
		return fmt.Errorf("-serve=%q: want mux, plain or v4", *serve)
	}
	return nil
}

func guess(name string) string {
	for _, word := range []string{"plain", "v4"} {
		if strings.Contains(name, word) {
			return word
		}
	}
	return "mux"
}
