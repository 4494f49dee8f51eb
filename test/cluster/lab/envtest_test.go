package lab_test

import (
	"testing"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

func TestEnvtestRunsOnTheAssets(t *testing.T) {
	assets, err := lab.EnvtestAssets(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	environment := &envtest.Environment{BinaryAssetsDirectory: assets}
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	}()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if version, err := client.Discovery().ServerVersion(); err != nil || version.GitVersion != "v1.36.3" {
		t.Errorf("version %v, %v", version, err)
	}
}
