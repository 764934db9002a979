package main

import (
	"context"
	"time"

	v4 "github.com/openbao/openbao/sdk/v2/database/dbplugin"
)

// old is the mock behind the interface of before 2020, which makes passwords
// itself.
type old struct {
	store
}

var _ v4.Database = (*old)(nil)

func (o *old) Type() (string, error) { return "mock", nil }

func (o *old) CreateUser(_ context.Context, statements v4.Statements, config v4.UsernameConfig, end time.Time) (string, string, error) {
	const password = "made-by-the-mock"
	name, err := o.make(config.DisplayName, config.RoleName, "password="+password, end, statements.Creation)
	return name, password, err
}

func (o *old) RenewUser(_ context.Context, _ v4.Statements, name string, end time.Time) error {
	return o.change(name, shown(end))
}

func (o *old) RevokeUser(_ context.Context, _ v4.Statements, name string) error {
	return o.remove(name)
}

func (o *old) RotateRootCredentials(context.Context, []string) (map[string]interface{}, error) {
	return map[string]interface{}{"file": o.file, "password": "rotated-by-the-mock"}, nil
}

func (o *old) GenerateCredentials(context.Context) (string, error) {
	return "generated-by-the-mock", nil
}

func (o *old) SetCredentials(_ context.Context, _ v4.Statements, user v4.StaticUserConfig) (string, string, error) {
	return user.Username, user.Password, o.change(user.Username, "password="+user.Password)
}

func (o *old) Init(_ context.Context, config map[string]interface{}, verify bool) (map[string]interface{}, error) {
	kept, err := o.open(config)
	if err == nil {
		kept["verified"] = verify
	}
	return kept, err
}

func (o *old) Close() error { return nil }
