package main

import (
	"context"
	"os"
	"sync"

	"github.com/openbao/openbao/sdk/v2/framework"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// defaultInternal is the in-memory value of a fresh instance. A test that
// changes it and later reads it back learns whether the instance is still the
// same one.
const defaultInternal = "bar"

// backend is one mounted instance.
type backend struct {
	*framework.Backend

	mu       sync.Mutex
	internal string
}

// factory makes instances of the wanted type with the wanted fault.
func factory(kind logical.BackendType, fault string) logical.Factory {
	return func(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
		if err := failSetup(fault); err != nil {
			return nil, err
		}
		made := newBackend(kind, fault)
		if err := made.Setup(ctx, config); err != nil {
			return nil, err
		}
		return made, nil
	}
}

func newBackend(kind logical.BackendType, fault string) *backend {
	made := &backend{internal: defaultInternal}
	made.Backend = &framework.Backend{
		Help:           "A plugin with no purpose but to be tested with.",
		BackendType:    reportedType(kind, fault),
		RunningVersion: reportedVersion(),
		PathsSpecial:   &logical.Paths{Unauthenticated: []string{"special"}},
		Paths: framework.PathAppend(
			made.errorPaths(),
			made.storagePaths(),
			made.transactionPaths(),
			made.processPaths(),
			made.answerPaths(),
			made.serverPaths(),
		),
		Invalidate:     made.invalidate,
		InitializeFunc: initializeFor(fault),
		Clean:          cleanFor(fault),
	}
	return made
}

func reportedVersion() string {
	if version := os.Getenv(versionVariable); version != "" {
		return version
	}
	return "v0.0.0+mock"
}

// invalidate is called when another node has written a key.
func (b *backend) invalidate(_ context.Context, key string) {
	if key == "internal" {
		b.setInternal("")
	}
}

func (b *backend) setInternal(value string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.internal = value
}

func (b *backend) getInternal() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.internal
}

// values is the answer that holds nothing but data.
func values(data map[string]interface{}) *logical.Response {
	return &logical.Response{Data: data}
}

// on attaches one function to several operations.
func on(does framework.OperationFunc, operations ...logical.Operation) map[logical.Operation]framework.OperationHandler {
	table := make(map[logical.Operation]framework.OperationHandler, len(operations))
	for _, operation := range operations {
		table[operation] = &framework.PathOperation{Callback: does}
	}
	return table
}
