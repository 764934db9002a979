package main

import (
	"context"
	"errors"
	"os"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
	"google.golang.org/grpc"
)

// The values of -fault. Faults that show before the handshake need no SDK and
// are not here.
const (
	faultNoBackend   = "no-backend"   // a good handshake, and no service behind it
	faultUnknownType = "unknown-type" // the type is reported as 0
	faultSetupFails  = "setup-fails"  // the factory returns an error
	faultSetupHangs  = "setup-hangs"  // the factory never returns
	faultSetupExits  = "setup-exits"  // the process is gone before Setup answers
	faultInitFails   = "init-fails"   // Initialize returns an error
	faultSlowCleanup = "slow-cleanup" // Cleanup sleeps for a minute
)

func failSetup(fault string) error {
	switch fault {
	case faultSetupFails:
		return errors.New("the mock refuses to be set up")
	case faultSetupHangs:
		select {}
	case faultSetupExits:
		os.Exit(4)
	}
	return nil
}

func reportedType(kind logical.BackendType, fault string) logical.BackendType {
	if fault == faultUnknownType {
		return logical.TypeUnknown
	}
	return kind
}

func initializeFor(fault string) framework.InitializeFunc {
	if fault != faultInitFails {
		return nil
	}
	return func(context.Context, *logical.InitializationRequest) error {
		return errors.New("the mock refuses to be initialized")
	}
}

func cleanFor(fault string) framework.CleanupFunc {
	if fault != faultSlowCleanup {
		return nil
	}
	return func(context.Context) { time.Sleep(time.Minute) }
}

// nothing is a go-plugin plugin that registers no service.
type nothing struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (nothing) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, errors.New("the mock is no host")
}

func serveNothing() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig,
		VersionedPlugins: map[int]goplugin.PluginSet{5: {"backend": nothing{}}},
		GRPCServer:       goplugin.DefaultGRPCServer,
	})
}
