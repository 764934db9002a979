package main

import (
	"math"
	"os"

	log "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/sdk/v2/plugin"
	"google.golang.org/grpc"
)

// serveOlder serves a backend as plugins did before Vault 1.12: protocol
// versions 3 and 4 and no other, with TLS by wrapping token.
func serveOlder(opts *plugin.ServeOpts) {
	logger := log.New(&log.LoggerOptions{Level: log.Trace, Output: os.Stderr, JSONFormat: true})
	backend := goplugin.PluginSet{
		plugin.BackendPluginName: &plugin.GRPCBackendPlugin{
			Factory: opts.BackendFactoryFunc,
			Logger:  logger,
		},
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig,
		VersionedPlugins: map[int]goplugin.PluginSet{3: backend, 4: backend},
		TLSProvider:      opts.TLSProviderFunc,
		Logger:           logger,
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			options = append(options, grpc.MaxRecvMsgSize(math.MaxInt32))
			options = append(options, grpc.MaxSendMsgSize(math.MaxInt32))
			return goplugin.DefaultGRPCServer(options)
		},
	})
}
