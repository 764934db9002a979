package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	v5 "github.com/openbao/openbao/sdk/v2/database/dbplugin/v5"
	"github.com/openbao/openbao/sdk/v2/logical"
)

// database is the mock behind the present interface.
type database struct {
	store
}

var (
	_ v5.Database             = (*database)(nil)
	_ logical.PluginVersioner = (*database)(nil)
)

func (d *database) Initialize(_ context.Context, request v5.InitializeRequest) (v5.InitializeResponse, error) {
	kept, err := d.open(request.Config)
	if err != nil {
		return v5.InitializeResponse{}, err
	}
	kept["verified"] = request.VerifyConnection
	response := v5.InitializeResponse{Config: kept}
	response.SetSupportedCredentialTypes([]v5.CredentialType{
		v5.CredentialTypePassword, v5.CredentialTypeRSAPrivateKey, v5.CredentialTypeClientCertificate,
	})
	return response, nil
}

func (d *database) NewUser(_ context.Context, request v5.NewUserRequest) (v5.NewUserResponse, error) {
	var credential string
	switch request.CredentialType {
	case v5.CredentialTypePassword:
		credential = "password=" + request.Password
	case v5.CredentialTypeRSAPrivateKey:
		credential = fmt.Sprintf("key=%d", len(request.PublicKey))
	case v5.CredentialTypeClientCertificate:
		credential = "subject=" + request.Subject
	}
	config := request.UsernameConfig
	name, err := d.make(config.DisplayName, config.RoleName, credential, request.Expiration, request.Statements.Commands)
	return v5.NewUserResponse{Username: name}, err
}

func (d *database) UpdateUser(_ context.Context, request v5.UpdateUserRequest) (v5.UpdateUserResponse, error) {
	var parts []string
	if change := request.Password; change != nil {
		parts = append(parts, "password="+change.NewPassword, strings.Join(change.Statements.Commands, ";"))
	}
	if change := request.PublicKey; change != nil {
		parts = append(parts, fmt.Sprintf("key=%d", len(change.NewPublicKey)))
	}
	if change := request.Expiration; change != nil {
		parts = append(parts, shown(change.NewExpiration), strings.Join(change.Statements.Commands, ";"))
	}
	return v5.UpdateUserResponse{}, d.change(request.Username, strings.Join(parts, " "))
}

func (d *database) DeleteUser(_ context.Context, request v5.DeleteUserRequest) (v5.DeleteUserResponse, error) {
	return v5.DeleteUserResponse{}, d.remove(request.Username)
}

func (d *database) Type() (string, error) { return "mock", nil }

// Close hangs if the connection was told to by a user of that name.
func (d *database) Close() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if _, hangs := d.lines["hang-on-close"]; hangs {
		select {}
	}
	d.lines = nil
	return nil
}

func (d *database) PluginVersion() logical.PluginVersion {
	return logical.PluginVersion{Version: os.Getenv(versionVariable)}
}
