package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/plugin"
	"google.golang.org/grpc"
)

// The values of -fault.
const (
	faultExits       = "exits"        // the process ends before its handshake
	faultChatty      = "chatty"       // something else is printed for a handshake
	faultSilent      = "silent"       // nothing is ever printed
	faultNoBackend   = "no-backend"   // a good handshake, and no service behind it
	faultUnknownType = "unknown-type" // the type is reported as 0
	faultSetupFails  = "setup-fails"  // the factory returns an error
	faultSetupHangs  = "setup-hangs"  // the factory never returns
	faultSetupExits  = "setup-exits"  // the process is gone before Setup answers
	faultInitFails   = "init-fails"   // Initialize returns an error
	faultSlowCleanup = "slow-cleanup" // Cleanup sleeps for a minute
)

// faultOf is the fault asked for: by the flag, or by the text of a file, which
// a test can change without changing what is registered.
func faultOf(flag, file string) (string, error) {
	if file == "" {
		return flag, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return flag, nil
	}
	return strings.TrimSpace(string(text)), err
}

// failStart does what goes wrong before the handshake.
func failStart(fault string) {
	switch fault {
	case faultExits:
		fmt.Fprintln(os.Stderr, "the mock was told to exit")
		os.Exit(7)
	case faultChatty:
		fmt.Println("Starting up, please wait...")
		time.Sleep(time.Hour)
	case faultSilent:
		time.Sleep(time.Hour)
	}
}

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
