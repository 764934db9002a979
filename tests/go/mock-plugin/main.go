// Command mock-plugin is a plugin with no purpose but to be tested with. It is
// built on OpenBao's SDK, which nobody here wrote, so that a server which can
// run it can run other people's plugins.
//
// What it is follows from its flags. A flag that is absent is guessed from the
// name of the executable, so one binary copied to several names gives several
// plugins without arguments:
//
//	-type=secret|auth     "auth" in the name makes an auth method
//	-serve=mux|plain|v4   "plain" in the name serves one instance a process;
//	                      v4 speaks protocols 3 and 4 only
//	-fault=...            see faults.go
//	-fault-file=...       a file that holds the fault, if it is there
//
// All other flags are those that every Vault plugin accepts (-ca-cert, ...).
//
// It deliberately holds no lease, no login and no background work.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openbao/openbao/api/v2"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
)

// versionVariable names the environment variable that sets the version which
// the plugin reports of itself.
const versionVariable = "TESTING_MOCK_VAULT_PLUGIN_VERSION"

func main() {
	if err := run(filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mock-plugin:", err)
		os.Exit(1)
	}
}

func run(name string, args []string) error {
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet()
	kind := flags.String("type", guess(name, "auth", "auth", "secret"), "secret or auth")
	serve := flags.String("serve", guess(name, "plain", "plain", "mux"), "mux, plain or v4")
	flag := flags.String("fault", "", "what to do wrong")
	file := flags.String("fault-file", "", "a file that says what to do wrong; none if it is absent")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fault, err := faultOf(*flag, *file)
	if err != nil {
		return err
	}
	failStart(fault)
	backendType, err := typeOf(*kind)
	if err != nil {
		return err
	}
	if fault == faultNoBackend {
		serveNothing()
		return nil
	}
	options := &plugin.ServeOpts{
		BackendFactoryFunc: factory(backendType, fault),
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	}
	switch *serve {
	case "mux":
		return plugin.ServeMultiplex(options)
	case "plain":
		return plugin.Serve(options)
	case "v4":
		serveOlder(options)
		return nil
	default:
		return fmt.Errorf("-serve=%q: want mux, plain or v4", *serve)
	}
}

func typeOf(kind string) (logical.BackendType, error) {
	switch kind {
	case "secret":
		return logical.TypeLogical, nil
	case "auth":
		return logical.TypeCredential, nil
	default:
		return logical.TypeUnknown, fmt.Errorf("-type=%q: want secret or auth", kind)
	}
}

func guess(name, part, found, otherwise string) string {
	if strings.Contains(name, part) {
		return found
	}
	return otherwise
}
