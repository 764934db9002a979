// Program goplugin-peer is the other side of our interoperability tests: a plugin, or a host, on
// HashiCorp's own go-plugin library.
//
//	goplugin-peer                      serve as a plugin (under a host)
//	goplugin-peer host PROGRAM ARGS…   be the host of a plugin, try everything, print "ok"
//	goplugin-peer certificate          print a certificate and key of the AutoMTLS shape, as PEM
//
// The service peer.Peer is declared by hand, so that no protobuf compiler is needed.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var handshake = plugin.HandshakeConfig{
	MagicCookieKey:   "GO_PLUGIN_PEER",
	MagicCookieValue: "ffe3f1c2",
}

const version = 5

// Peer is what both sides serve: the plugin on its main connection, the host on a brokered one.
type Peer interface {
	Echo(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error)
	// CallBack dials the broker with the given id and echoes through the service found there.
	CallBack(context.Context, *wrapperspb.UInt32Value) (*wrapperspb.StringValue, error)
	// Print writes to what the author believes to be stdout.
	Print(context.Context, *wrapperspb.StringValue) (*wrapperspb.StringValue, error)
}

func method[Q any, P interface{ *Q }](
	name string, call func(Peer, context.Context, P) (*wrapperspb.StringValue, error),
) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := P(new(Q))
			if err := decode(request); err != nil {
				return nil, err
			}
			return call(srv.(Peer), ctx, request)
		},
	}
}

var service = grpc.ServiceDesc{
	ServiceName: "peer.Peer",
	HandlerType: (*Peer)(nil),
	Methods: []grpc.MethodDesc{
		method("Echo", Peer.Echo),
		method("CallBack", Peer.CallBack),
		method("Print", Peer.Print),
	},
}

type server struct {
	broker *plugin.GRPCBroker
	log    hclog.Logger
}

func (s *server) Echo(_ context.Context, in *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	s.log.Info("echo", "length", len(in.Value))
	return in, nil
}

func (s *server) CallBack(ctx context.Context, id *wrapperspb.UInt32Value) (*wrapperspb.StringValue, error) {
	conn, err := s.broker.Dial(id.Value)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return echo(ctx, conn, "called back")
}

func (s *server) Print(_ context.Context, in *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
	fmt.Fprint(os.Stdout, in.Value)
	return in, nil
}

func echo(ctx context.Context, conn grpc.ClientConnInterface, text string) (*wrapperspb.StringValue, error) {
	out := new(wrapperspb.StringValue)
	return out, conn.Invoke(ctx, "/peer.Peer/Echo", wrapperspb.String(text), out)
}

// entry is the one plugin of the set.
type entry struct{ plugin.NetRPCUnsupportedPlugin }

func (entry) GRPCServer(broker *plugin.GRPCBroker, s *grpc.Server) error {
	log := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true, Level: hclog.Trace})
	s.RegisterService(&service, &server{broker: broker, log: log})
	return nil
}

func (entry) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &remote{broker: broker, conn: conn}, nil
}

type remote struct {
	broker *plugin.GRPCBroker
	conn   *grpc.ClientConn
}

func versions() map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{version: {"peer": entry{}}}
}

func main() {
	var err error
	switch {
	case len(os.Args) > 2 && os.Args[1] == "host":
		err = host(os.Args[2], os.Args[3:])
	case len(os.Args) == 2 && os.Args[1] == "certificate":
		err = certificate()
	default:
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig:  handshake,
			VersionedPlugins: versions(),
			GRPCServer:       plugin.DefaultGRPCServer,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// lockedBuffer takes the plugin's output while the test looks for it.
type lockedBuffer struct {
	sync.Mutex
	strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Builder.Write(p)
}

func (b *lockedBuffer) contains(text string) bool {
	b.Lock()
	defer b.Unlock()
	return strings.Contains(b.Builder.String(), text)
}

func host(program string, args []string) error {
	var output, logs lockedBuffer
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: versions(),
		Cmd:              exec.Command(program, args...),
		AutoMTLS:         true,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SyncStdout:       &output,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: &logs, Level: hclog.Trace}),
	})
	defer client.Kill()
	if err := try(client, &output); err != nil {
		return fmt.Errorf("%w\n%s", err, logs.Builder.String())
	}
	start := time.Now()
	client.Kill()
	if took := time.Since(start); took > 1500*time.Millisecond || !client.Exited() {
		return fmt.Errorf("the plugin did not end when it was asked to (%v)", took)
	}
	if !logs.contains("[INFO]") {
		return errors.New("no log line of the plugin arrived at its level:\n" + logs.Builder.String())
	}
	fmt.Println("ok")
	return nil
}

func try(client *plugin.Client, output *lockedBuffer) error {
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	if client.NegotiatedVersion() != version {
		return fmt.Errorf("negotiated version %d", client.NegotiatedVersion())
	}
	if err := protocol.Ping(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	raw, err := protocol.Dispense("peer")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	peer := raw.(*remote)

	big := strings.Repeat("x", 9<<20)
	for _, text := range []string{"", "hello", big} {
		out, err := echo(ctx, peer.conn, text)
		if err != nil || out.Value != text {
			return fmt.Errorf("echo of %d bytes: %v", len(text), err)
		}
	}

	id := peer.broker.NextId()
	go peer.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
		s := grpc.NewServer(options...)
		s.RegisterService(&service, &server{broker: peer.broker, log: hclog.NewNullLogger()})
		return s
	})
	out := new(wrapperspb.StringValue)
	if err := peer.conn.Invoke(ctx, "/peer.Peer/CallBack", wrapperspb.UInt32(id), out); err != nil || out.Value != "called back" {
		return fmt.Errorf("call back: %q, %v", out.Value, err)
	}

	if err := peer.conn.Invoke(ctx, "/peer.Peer/Print", wrapperspb.String("printed\n"), out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	for !output.contains("printed") {
		if ctx.Err() != nil {
			return errors.New("what the plugin printed did not arrive")
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "localhost", Organization: []string{"HashiCorp"}},
		DNSNames:              []string{"localhost"},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		SerialNumber:          big.NewInt(now.UnixNano()),
		NotBefore:             now.Add(-30 * time.Second),
		NotAfter:              now.Add(262980 * time.Hour),
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := pem.Encode(os.Stdout, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		return err
	}
	return pem.Encode(os.Stdout, &pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
}
