// Command openbao-mock serves the mock backend that OpenBao's SDK brings along:
// a backend that OpenBao's developers wrote for tests of their own server, and
// that no program of theirs serves any more.
//
// It deliberately adds nothing to it.
package main

import (
	"fmt"
	"os"

	"github.com/openbao/openbao/api/v2"
	"github.com/openbao/openbao/sdk/v2/plugin"
	"github.com/openbao/openbao/sdk/v2/plugin/mock"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "openbao-mock:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(args); err != nil {
		return err
	}
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: mock.Factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}
