// What docs/deploy/ says is checked as far as it can be without systemd as init, a container runtime and a cluster.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import YAML from 'yaml';
import { binary, folder, drop } from './support.mjs';

const deploy = fileURLToPath(new URL('../../docs/deploy', import.meta.url));
const built = (text) => text.replaceAll('/usr/bin/heimdall', binary('heimdall'));
const run = (program, args, env = {}) => spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env } });
const manifests = readdirSync(join(deploy, 'kubernetes')).sort().flatMap((name) =>
  YAML.parseAllDocuments(readFileSync(join(deploy, 'kubernetes', name), 'utf8')).map((doc) => { assert.deepEqual(doc.errors, [], name); return doc.toJS(); }));
const pods = manifests.filter((m) => m.spec?.template).map((m) => ({ name: m.metadata.name, kind: m.kind, ...m.spec.template.spec, labels: m.spec.template.metadata?.labels }));
const configuration = (name) => manifests.find((m) => m.kind === 'ConfigMap' && name in m.data).data[name];

test('systemd takes the units', (t) => {
  if (run('systemd-analyze', ['--version']).error) return t.skip('systemd-analyze is not installed');
  const data = folder();
  for (const name of readdirSync(join(deploy, 'systemd'))) {
    const unit = built(readFileSync(join(deploy, 'systemd', name), 'utf8'));
    writeFileSync(join(data, name), unit);
    const out = run('systemd-analyze', ['verify', join(data, name)]);
    const said = out.stderr.split('\n').filter((line) => line.includes(name));
    assert.deepEqual([out.status, said], [0, []], name);
    // What a unit starts is a command that the binary knows.
    for (const [, command] of unit.matchAll(/^Exec(?:StartPre|Start)=(.*)$/gm)) {
      const [program, ...args] = command.split(' ');
      assert.equal(run(program, [...args, '--help']).status, 0, command);
    }
  }
  drop(data);
});

test('the configuration of the manifests is one that the binaries take', () => {
  const data = folder();
  const common = join(data, 'heimdall.yaml');
  writeFileSync(common, configuration('heimdall.yaml'));
  for (const name of ['heimdall', 'heimdall-api', 'heimdall-approvals']) {
    const out = run(binary(name), ['config', 'check', common]);
    assert.equal(out.status, 0, `${name}: ${out.stderr}`);
  }
  const rules = join(data, 'rules');
  mkdirSync(rules);
  writeFileSync(join(rules, 'billing.yaml'), configuration('billing.yaml'));
  const proxy = join(data, 'proxy.yaml');
  writeFileSync(proxy, configuration('proxy.yaml').replace('/etc/heimdall/rules', rules));
  const flags = pods.find((pod) => pod.name === 'heimdall-proxy').containers[0].command.filter((word) => word.startsWith('--'));
  for (const what of [['validate', 'config', '-c', proxy], ['validate', 'rules', '-c', proxy, rules]]) {
    const out = run(binary('heimdall-proxy'), [...what, ...flags]);
    assert.equal(out.status, 0, `${what}: ${out.stdout}${out.stderr}`);
  }
  drop(data);
});

test('manifests belong together and give nothing away', () => {
  for (const pod of pods) {
    const [container] = pod.containers;
    assert.equal(pod.securityContext.runAsNonRoot, true, pod.name);
    assert.equal(pod.automountServiceAccountToken, false, pod.name);
    assert.equal(container.securityContext.readOnlyRootFilesystem, true, pod.name);
    assert.equal(container.securityContext.allowPrivilegeEscalation, false, pod.name);
    const [program, ...args] = container.command;
    assert.equal(run(built(program), [...args, '--help']).status, 0, container.command.join(' '));
    for (const mount of container.volumeMounts ?? []) {
      const volume = pod.volumes.find((one) => one.name === mount.name);
      assert.ok(volume, `${pod.name}: ${mount.name}`);
      if (volume.configMap) assert.ok(manifests.some((m) => m.kind === 'ConfigMap' && m.metadata.name === volume.configMap.name));
    }
    for (const probe of [container.readinessProbe, container.livenessProbe].filter(Boolean)) {
      assert.ok(container.ports.some((port) => port.name === probe.httpGet.port), pod.name);
    }
  }
  for (const { spec, metadata } of manifests.filter((m) => m.kind === 'Service' || m.kind === 'PodDisruptionBudget')) {
    const wanted = spec.selector.matchLabels ?? spec.selector;
    assert.ok(pods.some((pod) => Object.entries(wanted).every(([key, value]) => pod.labels?.[key] === value)), metadata.name);
  }
  for (const { kind, metadata } of manifests) if (kind !== 'Namespace') assert.equal(metadata.namespace, 'heimdall', metadata.name);
});

test('the image is made of what the repository builds', () => {
  const file = readFileSync(join(deploy, 'container', 'Containerfile'), 'utf8').replaceAll('\\\n', ' ');
  const copied = [...file.matchAll(/\/src\/target\/dist\/(\S+)/g)].map((m) => m[1]).sort();
  const root = join(dirname(deploy), '..');
  const names = readdirSync(join(root, 'bins')).map((name) => /name = "([^"]+)"/.exec(readFileSync(join(root, 'bins', name, 'Cargo.toml'), 'utf8'))[1]);
  assert.deepEqual(copied, names.sort());
  assert.match(readFileSync(join(root, 'Cargo.toml'), 'utf8'), /^\[profile\.dist\]/m);
  assert.match(file, /^USER 65532/m);
  assert.equal(run(binary('heimdall'), ['--help']).status, 0);
});
